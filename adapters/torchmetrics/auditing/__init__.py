"""Find metrics that give a wrong number by construction."""
