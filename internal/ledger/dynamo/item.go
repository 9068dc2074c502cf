package dynamo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/amx-lambda/amx/internal/ledger"
	"github.com/amx-lambda/amx/internal/table"
)

// packFrom is the size, in bytes, from which a value is gzipped. A write is
// billed by the kilobyte, and the entry of one alert is smaller.
const packFrom = 1 << 10

var gzipMagic = []byte{0x1f, 0x8b}

// pack gzips a value where that saves space. A value that looks gzipped itself
// always is, so that unpack never has to guess.
func pack(value []byte) []byte {
	looksPacked := bytes.HasPrefix(value, gzipMagic)
	if len(value) < packFrom && !looksPacked {
		return value
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z) // errors only with its writer, and a buffer has none
	_, _ = w.Write(value)
	_ = w.Close()
	if z.Len() >= len(value) && !looksPacked {
		return value
	}
	return z.Bytes()
}

func unpack(value []byte) ([]byte, error) {
	if !bytes.HasPrefix(value, gzipMagic) {
		return value, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(value))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// decode reads an item. It returns an error for an item that is not a record:
// somebody else wrote it, and acting on it could run a command twice.
func decode(item table.Item) (ledger.Record, error) {
	key, ok := item[table.Key].(*types.AttributeValueMemberS)
	if !ok {
		return ledger.Record{}, fmt.Errorf("an item has no string %q", table.Key)
	}
	r := ledger.Record{Key: key.Value}
	var err error
	if r.Version, err = table.VersionOf(item); err != nil {
		return r, fmt.Errorf("item %q: %w", r.Key, err)
	}
	value, ok := item[table.Value].(*types.AttributeValueMemberB)
	if !ok {
		return r, fmt.Errorf("item %q has no binary %q", r.Key, table.Value)
	}
	if r.Value, err = unpack(value.Value); err != nil {
		return r, fmt.Errorf("item %q: unpacking %q: %w", r.Key, table.Value, err)
	}
	if expires, ok := item[table.Expires]; ok {
		seconds, err := table.Integer(expires)
		if err != nil {
			return r, fmt.Errorf("item %q: %q: %w", r.Key, table.Expires, err)
		}
		r.Expires = time.Unix(seconds, 0)
	}
	return r, nil
}
