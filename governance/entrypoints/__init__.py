"""The doors: each turns what it speaks into a request, walks the line, and translates the decision back."""
