"""What each part of the model and of its training is worth: small models that differ in one thing, trained alike."""
