package guard_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/grantry/grantry/mcp/guard"
)

// special are IANA's special-purpose registries for IPv4 and IPv6, as of RFC 6890
// and what came after, and multicast. Reachable ones (anycast of AS112 and AMT,
// and those within 192.0.0.0/24 and 2001::/23) are left out or refused all the same.
var special = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23",
	"2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
}

// expected is Public once more, by the registries, by what netip itself knows, and
// by the IPv4 address that a translator or tunnel would take out of an IPv6 one.
func expected(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	for _, s := range special {
		if netip.MustParsePrefix(s).Contains(a) {
			return false
		}
	}
	if a.Is4() {
		return true
	}
	raw := a.As16()
	if raw[0] < 0x20 || raw[0] > 0x3f { // IANA has given out no other
		return false
	}
	id := binary.BigEndian.Uint32(raw[8:12])
	return id&^0x03000000 != 0x00005efe
}

// TestR65SpecialAddresses: the addresses of R65 and their neighbours, one by one.
func TestR65SpecialAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1": false, "127.255.255.254": false, "128.0.0.1": true, "0.0.0.0": false, "1.1.1.1": true,
		"169.254.169.254": false, "169.253.255.255": true, "100.63.255.255": true, "100.64.0.1": false, "100.127.255.255": false,
		"100.100.100.200": false, "192.0.0.192": false, "10.1.2.3": false, "172.15.0.1": true, "172.16.0.1": false, "172.31.255.255": false,
		"172.32.0.1": true, "192.168.1.1": false, "198.18.0.1": false, "198.20.0.1": true, "203.0.113.7": false, "224.0.0.1": false,
		"255.255.255.255": false, "8.8.8.8": true, "93.184.216.34": true,
		"::1": false, "::": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true, "::ffff:169.254.169.254": false,
		"fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fe80::1%eth0": false, "2606:4700::1111%eth0": false, "ff02::1": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2002:808:808::1": false,
		"2001::1": false, "2001:0:7f00:1::": false, "2001:db8::1": false, "2001:200::1": true, "3fff::1": false, "3fff:1000::1": true,
		"2606:4700::1111": true, "2a00:1450:4001:81b::200e": true,
		"2606:4700::5efe:7f00:1": false, "2606:4700::200:5efe:a9fe:a9fe": false, "2606:4700::5eff:7f00:1": true, "4000::1": false,
	} {
		if got := guard.Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("Public(%s) = %t, want %t", address, got, want)
		}
	}
	if guard.Public(netip.Addr{}) {
		t.Error("no address at all is public")
	}
}

// FuzzR65Classifier compares the classifier with the registries' tables.
func FuzzR65Classifier(f *testing.F) {
	for _, s := range special {
		p := netip.MustParsePrefix(s)
		f.Add(p.Addr().AsSlice())
		f.Add(p.Addr().Prev().AsSlice())
		f.Add(last(p).AsSlice())
		f.Add(last(p).Next().AsSlice())
	}
	for _, s := range []string{"::ffff:10.0.0.1", "::ffff:8.8.8.8", "2606:4700::5efe:7f00:1", "2606:4700::300:5efe:1.1.1.1", "2a00:1450::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		if got, want := guard.Public(a), expected(a); got != want {
			t.Errorf("Public(%s) = %t, the tables say %t", a, got, want)
		}
		if a.Is4() && guard.Public(a) != guard.Public(netip.AddrFrom16(a.As16())) {
			t.Errorf("%s counts otherwise when it is written as IPv6", a)
		}
	})
}

// last is the last address of a block.
func last(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}
