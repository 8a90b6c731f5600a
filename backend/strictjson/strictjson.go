// Package strictjson reads JSON that strangers wrote.
//
// encoding/json is forgiving where forgiveness is dangerous: the last of two
// equal keys wins, keys match in any letter case (even ſ for s), and what
// follows the value is ignored by some callers. A document that says two
// things is refused here, before anybody decodes it.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 16

// Check returns nil when data is exactly one JSON value: valid UTF-8, no
// duplicate keys in any object, nesting of at most MaxDepth, nothing after it.
func Check(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("json: invalid UTF-8")
	}
	// The depth is checked by a scan of its own: the decoder below recurses
	// only as deep as this allows.
	if err := checkDepth(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := value(dec); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("json: data after the value")
	}
	return nil
}

// Object returns the members of the one JSON object in data, keys as written.
func Object(data []byte) (map[string]json.RawMessage, error) {
	if err := Check(data); err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil || m == nil {
		return nil, errors.New("json: not an object")
	}
	return m, nil
}

func checkDepth(data []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return fmt.Errorf("json: nested deeper than %d", MaxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// value reads one value and refuses a key seen twice in one object.
func value(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return errors.New("json: malformed")
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return errors.New("json: malformed")
			}
			if seen[key.(string)] {
				return errors.New("json: duplicate key")
			}
			seen[key.(string)] = true
		}
		if err := value(dec); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return errors.New("json: malformed")
	}
	return nil
}
