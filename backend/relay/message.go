package relay

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

const (
	version      = 1
	kindDelivery = 'D'
	kindAnswer   = 'A'

	idAt      = 2 + 8
	timeAt    = idAt + 16
	flowAt    = timeAt + 8
	encAt     = flowAt + 32
	sealedAt  = encAt + 32
	padding   = 512
	sealExtra = 16 // the tag of ChaCha20-Poly1305

	answerSize = 2 + 16 + 1 + ed25519.SignatureSize

	// What a signature is about comes before what is signed, so that none can
	// be taken for another.
	aboutDelivery = "keyturn relay delivery\x00"
	aboutAnswer   = "keyturn relay answer\x00"
	aboutSeal     = "keyturn relay seal\x00"
)

var (
	errMalformed = errors.New("message: malformed")
	errVersion   = errors.New("message: of another version")
	errSignature = errors.New("message: signed by somebody else")
	errSeal      = errors.New("message: sealed to another key")
)

// MessageID names one Delivery; its Answer carries it.
type MessageID [16]byte

// Delivery is one callback on its way to the app.
type Delivery struct {
	ID       MessageID
	Time     time.Time // when the gateway sent it, to the millisecond
	Flow     [sha256.Size]byte
	Provider string
	Query    string // of the authorization response
	Code     string // for the person to type; empty when the response is an error
}

// NewDelivery makes the message for a callback that came with this route. The
// code comes from codeSecret when the response needs one.
func NewDelivery(r Route, provider, query string, needsCode bool, codeSecret []byte) Delivery {
	d := Delivery{Time: time.Now(), Flow: sha256.Sum256([]byte(r.state)), Provider: provider, Query: query}
	rand.Read(d.ID[:])
	if needsCode {
		d.Code = makeCode(codeSecret, d)
	}
	return d
}

// Seal returns the message as it travels: sealed to the attempt, signed by the
// gateway.
func (d Delivery) Seal(r Route, gateway ed25519.PrivateKey) ([]byte, error) {
	if len(d.Provider) > 64 || len(d.Query) > maxQuery || len(d.Code) > codeLength {
		return nil, errMalformed
	}
	to, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(r.key)
	if err != nil {
		return nil, err
	}
	enc, sender, err := hpke.NewSender(to, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), sealInfo(r.App))
	if err != nil {
		return nil, err
	}
	sealed, err := sender.Seal(d.Flow[:], d.inside())
	if err != nil {
		return nil, err
	}
	key := keyID(gateway.Public().(ed25519.PublicKey))
	frame := make([]byte, 0, sealedAt+len(sealed)+ed25519.SignatureSize)
	frame = append(frame, version, kindDelivery)
	frame = append(frame, key[:]...)
	frame = append(frame, d.ID[:]...)
	frame = binary.BigEndian.AppendUint64(frame, uint64(d.Time.UnixMilli()))
	frame = append(frame, d.Flow[:]...)
	frame = append(frame, enc...)
	frame = append(frame, sealed...)
	return append(frame, ed25519.Sign(gateway, signed(aboutDelivery, r.App, frame))...), nil
}

// inside is what is sealed.
func (d Delivery) inside() []byte {
	b := make([]byte, 0, 4+len(d.Provider)+len(d.Code)+len(d.Query)+padding)
	b = append(b, byte(len(d.Provider)))
	b = append(b, d.Provider...)
	b = append(b, byte(len(d.Code)))
	b = append(b, d.Code...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.Query)))
	b = append(b, d.Query...)
	return append(b, make([]byte, (padding-len(b)%padding)%padding)...)
}

// envelope is a Delivery whose signature was checked and that is not open yet.
type envelope struct {
	Delivery
	enc, sealed []byte
}

// parseEnvelope reads a message that gateway sent to the app.
func parseEnvelope(frame []byte, app string, gateway ed25519.PublicKey) (envelope, error) {
	switch {
	case len(frame) < 2 || len(frame) > MaxMessage:
		return envelope{}, errMalformed
	case frame[0] != version:
		return envelope{}, errVersion
	case frame[1] != kindDelivery || len(frame) < sealedAt+padding+sealExtra+ed25519.SignatureSize:
		return envelope{}, errMalformed
	}
	body := frame[:len(frame)-ed25519.SignatureSize]
	key := keyID(gateway)
	if !bytes.Equal(body[2:idAt], key[:]) || !ed25519.Verify(gateway, signed(aboutDelivery, app, body), frame[len(body):]) {
		return envelope{}, errSignature
	}
	e := envelope{enc: body[encAt:sealedAt], sealed: body[sealedAt:]}
	e.ID = MessageID(body[idAt:timeAt])
	e.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(body[timeAt:flowAt])))
	e.Flow = [sha256.Size]byte(body[flowAt:encAt])
	return e, nil
}

// open unseals the message with the key of its attempt.
func (e envelope) open(app string, key hpke.PrivateKey) (Delivery, error) {
	recipient, err := hpke.NewRecipient(e.enc, key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), sealInfo(app))
	if err != nil {
		return Delivery{}, errSeal
	}
	b, err := recipient.Open(e.Flow[:], e.sealed)
	if err != nil {
		return Delivery{}, errSeal
	}
	d := e.Delivery
	provider, b, ok1 := cut(b, 1)
	code, b, ok2 := cut(b, 1)
	query, b, ok3 := cut(b, 2)
	if !ok1 || !ok2 || !ok3 || len(b) >= padding || len(bytes.Trim(b, "\x00")) != 0 {
		return Delivery{}, errMalformed
	}
	d.Provider, d.Code, d.Query = string(provider), string(code), string(query)
	if len(d.Code) != 0 && len(d.Code) != codeLength {
		return Delivery{}, errMalformed
	}
	return d, nil
}

// cut takes a text off b that follows its length in size bytes.
func cut(b []byte, size int) (text, rest []byte, ok bool) {
	if len(b) < size {
		return nil, nil, false
	}
	n := int(b[0])
	if size == 2 {
		n = int(binary.BigEndian.Uint16(b))
	}
	if b = b[size:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// Verdict is what the app made of a Delivery.
type Verdict byte

// The verdicts of version 1.
const (
	Accepted Verdict = 1 + iota // an attempt has the response, or had the same one before
	Unknown                     // no attempt waits for it
	Refused                     // no acceptable response
	Clock                       // the clocks differ too much
)

// Err is the error of a verdict, nil for Accepted.
func (v Verdict) Err() error {
	switch v {
	case Accepted:
		return nil
	case Unknown:
		return ErrUnknown
	case Clock:
		return ErrClock
	}
	return ErrRefused
}

// makeAnswer returns the app's answer to the message with this id.
func makeAnswer(id MessageID, v Verdict, app ed25519.PrivateKey) []byte {
	frame := make([]byte, 0, answerSize)
	frame = append(frame, version, kindAnswer)
	frame = append(frame, id[:]...)
	frame = append(frame, byte(v))
	return append(frame, ed25519.Sign(app, signed(aboutAnswer, "", frame))...)
}

// ParseAnswer reads the answer of app to the message with this id. The id is
// random and was never used before, so an answer needs no time of its own.
func ParseAnswer(frame []byte, id MessageID, app string) (Verdict, error) {
	switch {
	case len(frame) != answerSize:
		return 0, errMalformed
	case frame[0] != version:
		return 0, errVersion
	case frame[1] != kindAnswer || MessageID(frame[2:18]) != id:
		return 0, errMalformed
	}
	key, err := publicKey(app)
	if err != nil {
		return 0, err
	}
	body := frame[:answerSize-ed25519.SignatureSize]
	if !ed25519.Verify(key, signed(aboutAnswer, "", body), frame[len(body):]) {
		return 0, errSignature
	}
	if v := Verdict(body[18]); v >= Accepted && v <= Clock {
		return v, nil
	}
	return 0, errMalformed
}

// signed is the text that a signature covers. Neither about nor a genuine app
// id has a zero inside, so no two readings of it are the same.
func signed(about, app string, frame []byte) []byte {
	b := make([]byte, 0, len(about)+len(app)+1+len(frame))
	b = append(b, about...)
	b = append(b, app...)
	b = append(b, 0)
	return append(b, frame...)
}

func sealInfo(app string) []byte { return []byte(aboutSeal + app) }

// keyID tells a gateway's keys apart before any signature is computed.
func keyID(key ed25519.PublicKey) [8]byte {
	sum := sha256.Sum256(key)
	return [8]byte(sum[:8])
}
