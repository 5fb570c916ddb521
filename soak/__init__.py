"""Days of meters' lives with every fault that there is, in simulated time."""
