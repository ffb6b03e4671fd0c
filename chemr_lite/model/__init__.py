"""A 4-bit base with its adapter: loaded, asked, and made fast on a CPU. The one part of the core that needs torch."""
