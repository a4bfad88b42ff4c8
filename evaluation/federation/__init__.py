"""How the task is trained together: a plan, a plain loop, and the same through Flower with or without the guard."""
