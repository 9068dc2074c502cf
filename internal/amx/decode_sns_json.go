package amx

import (
	"encoding/json"
	"errors"
	"fmt"
)

// decodeDataJSON reads Data as JSON. Names of fields may differ in case, as
// encoding/json has it.
func decodeDataJSON(body []byte) (*Message, error) {
	var d snsData
	if err := json.Unmarshal(body, &d); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return nil, fmt.Errorf("JSON, byte %d: %w", syntax.Offset, err)
		}
		return nil, fmt.Errorf("JSON: %w", wrongType(err))
	}
	return d.message()
}
