"""Strange input for the estimators, made from a few words, and what has to hold whatever comes."""
