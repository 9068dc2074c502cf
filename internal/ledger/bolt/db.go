package bolt

import "go.etcd.io/bbolt"

// DB is the open file, for the other buckets that `amx serve` keeps in it. They
// are closed before the store is.
func (s *Store) DB() *bbolt.DB { return s.db }
