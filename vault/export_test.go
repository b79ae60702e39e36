package vault

// ForgetDataKeys has a vault unwrap each data key anew.
func ForgetDataKeys(v *Vault) {
	v.deks.mu.Lock()
	defer v.deks.mu.Unlock()
	v.deks.young, v.deks.old = nil, nil
}

// Packed is some of what fields can keep.
type Packed struct {
	Texts   [2]string
	Numbers [2]int64
	Blobs   [2][]byte
	Lists   [2][]string
}

func (p *Packed) fields(f *fields) {
	f.texts(&p.Texts[0], &p.Texts[1])
	f.numbers(&p.Numbers[0], &p.Numbers[1])
	f.blobs(&p.Blobs[0], &p.Blobs[1])
	f.lists(&p.Lists[0], &p.Lists[1])
}

// Pack writes p's fields.
func (p *Packed) Pack() []byte {
	var f fields
	p.fields(&f)
	return f.b
}

// Unpack reads them, if they are all there.
func Unpack(b []byte) (p Packed, ok bool) {
	f := fields{b: b, text: string(b), reading: true}
	p.fields(&f)
	return p, !f.bad
}
