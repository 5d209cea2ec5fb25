"""What another bundle would have decided on what was decided already."""
