"""The zoo: networks as functions that build them, and what is known of each."""
