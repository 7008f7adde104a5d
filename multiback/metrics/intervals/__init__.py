"""How sure a value is: intervals from the counts and sums of a state."""
