"""Models: a 4-bit base with its adapter, generation, `Chemist`, and a fast path on a CPU. Only here is torch needed."""
