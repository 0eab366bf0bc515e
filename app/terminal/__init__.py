"""What a person at a terminal sees: orders placed, orders followed, and the engine at work."""
