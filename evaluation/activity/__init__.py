"""The task: which exercise a smartwatch on an arm sees, learnt by a federation of twenty watches."""
