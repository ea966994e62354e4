"""Recipes: their files, their reader, and the user's own plug-ins."""
