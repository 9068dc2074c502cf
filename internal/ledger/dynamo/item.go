package dynamo

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/amx-lambda/amx/internal/ledger"
)

// The attributes of an item. template.yaml declares the first and the last.
const (
	attrKey     = "pk"
	attrVersion = "version"
	attrValue   = "value"
	attrExpires = "expires_at"
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

// decode reads an item. What is not a record was written by somebody else, and
// acting on it could run a command twice: it is an error.
func decode(item map[string]types.AttributeValue) (ledger.Record, error) {
	key, ok := item[attrKey].(*types.AttributeValueMemberS)
	if !ok {
		return ledger.Record{}, fmt.Errorf("an item has no string %q", attrKey)
	}
	r := ledger.Record{Key: key.Value}
	var err error
	if r.Version, err = integer(item[attrVersion]); err != nil || r.Version < 1 {
		return r, fmt.Errorf("item %q: %q is not a number from 1", r.Key, attrVersion)
	}
	value, ok := item[attrValue].(*types.AttributeValueMemberB)
	if !ok {
		return r, fmt.Errorf("item %q has no binary %q", r.Key, attrValue)
	}
	if r.Value, err = unpack(value.Value); err != nil {
		return r, fmt.Errorf("item %q: unpacking %q: %w", r.Key, attrValue, err)
	}
	if expires, ok := item[attrExpires]; ok {
		seconds, err := integer(expires)
		if err != nil {
			return r, fmt.Errorf("item %q: %q: %w", r.Key, attrExpires, err)
		}
		r.Expires = time.Unix(seconds, 0)
	}
	return r, nil
}

func integer(v types.AttributeValue) (int64, error) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, errors.New("not a number")
	}
	return strconv.ParseInt(n.Value, 10, 64)
}
