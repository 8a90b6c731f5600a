package app

import "keyturn/backend/place"

// rightUser has nothing to refuse: files belong to whoever runs the program.
func rightUser(place.Places) error { return nil }

func whoAmI() string { return "this user" }
