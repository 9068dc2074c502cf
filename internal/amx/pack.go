package amx

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// packedStart is how the base64 of gzip's first three bytes begins. No
// configuration does.
const packedStart = "H4sI"

// maxUnpacked bounds what a packed configuration may unfold to, in bytes. A
// parameter of 8 KB could ask for 8 MB.
const maxUnpacked = 1 << 20

// Pack returns a configuration's text in the form that Parameter Store takes:
// gzip in base64. Parameter Store refuses every value with "{{" and "}}" in it,
// which each template has.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
func Pack(text []byte) string {
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // its only error is an unknown level
	_, _ = z.Write(text)                                       // into memory: it does not fail
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}

// Unpack returns the text of a packed configuration, and any other text as it
// is. White space in the packed form does not count.
func Unpack(text []byte) ([]byte, error) {
	packed := strings.Join(strings.Fields(string(text[:min(len(text), 2*maxUnpacked)])), "")
	if !strings.HasPrefix(packed, packedStart) {
		return text, nil
	}
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
	if err != nil {
		return nil, unpacking(err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil {
		return nil, unpacking(err)
	}
	if len(plain) > maxUnpacked {
		return nil, unpacking(fmt.Errorf("over %d bytes", maxUnpacked))
	}
	return plain, nil
}

func unpacking(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it is cut off")
	}
	return fmt.Errorf("unpacking the configuration: %w: pack it again with `amx config --pack`", err)
}
