package sandbox

// person is one of the two who live here. The e-mail is the same everywhere, the ids differ everywhere.
type person struct {
	name, given, family, email string
	subject                    string // at the issuer
	googleID, slackID, sfID    string
	title                      string
}

func (p person) full() string { return p.given + " " + p.family }

func people() []person {
	return []person{
		{
			name: "alice", given: "Alice", family: "Archer", email: "alice@example.com", title: "Head of Sales",
			subject: "4f6b1c1e-6a0d-4a53-9a3f-0c1f5b0a11ce", googleID: "104872193847561029381",
			slackID: "U07SBXALICE", sfID: "005Qy00000A11ceIAB",
		},
		{
			name: "bob", given: "Bob", family: "Baker", email: "bob@example.com", title: "Engineering Manager",
			subject: "b0b5d7aa-90c2-4c77-8a62-7d1d3a2e0b0b", googleID: "117320564910283746555",
			slackID: "U07SBXBOB01", sfID: "005Qy00000B0b01IAC",
		},
	}
}

// findPerson answers by the name on the buttons: "alice" or "bob".
func findPerson(name string) (person, bool) {
	for _, p := range people() {
		if p.name == name {
			return p, true
		}
	}
	return person{}, false
}

// The organisation that both work for, as each vendor knows it.
const (
	companyName   = "Example Corp"
	companyDomain = "example.com"
	slackTeam     = "T07SBXTEAM1"
	slackApp      = "A07SBXGRANT"
	slackBotUser  = "U07SBXGRBOT"
	sfOrg         = "00DQy000001SbxEMAC"
)
