"""Documents of any format as values with their places: what the scanner reads and what obligations are carried out on."""
