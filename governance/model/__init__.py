"""The words that cross borders: requests, facts, decisions. Imports nothing of the project."""
