"""Evaluations: DCLM's tasks and aggregates, result files, noise, decisions between scales, multiple-choice scoring."""
