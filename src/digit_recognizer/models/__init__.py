"""The models: functions that build networks, and a table of their properties."""
