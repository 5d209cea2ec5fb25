"""Events between apps, from and to the world outside: see the README beside this file."""
