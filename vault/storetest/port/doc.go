// Package port gives tests loopback ports that nobody else takes: for what has
// to be known before the program under test listens, such as a redirect URI at
// a vendor, or for a server that goes and comes back.
//
// A port that is found free and given up is anybody's: of another test, or of
// an outgoing connection. These lie below the range from which systems give
// ports, and they are held meanwhile by the same ports of UDP, which ask for no
// file, are seen by every process and end with the one that holds them.
//
// The package is for tests and imports nothing of ours.
package port
