package seal_test

func children() map[string]func(string) error {
	return map[string]func(string) error{"fips": fipsChild, "source": sourceChild}
}
