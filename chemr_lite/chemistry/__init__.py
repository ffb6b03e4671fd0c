"""Chemistry computed with RDKit: functional groups, named reactions, and the wording of grounded traces."""
