"""What RDKit knows: functional groups, named reactions, and the wording of grounded traces."""
