// Package rescue keeps sealed records in a file when the database takes none: the
// emergency journal. A refresh token that was spent has its successor in one place
// only, this process's memory, until it is stored; the journal is the second place.
//
// Each process has a file of its own, made before anything is spent: private
// (0600), locked for life, and written full of zeros so that a record finds its
// space on a disk that has filled up since. A record is
//
//	magic (8) | length u32 | CRC-32C of the 12 bytes before (4) | payload | CRC-32C of the payload (4)
//
// so that a torn or changed one costs no other. Whoever can take the lock of
// another's file knows that its process is gone, and replays and removes it. Those
// of a process that lives can be read, too: it may be that only it cannot write.
//
// Records arrive sealed; the package imports nothing of ours.
package rescue
