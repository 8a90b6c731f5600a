package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"keyturn/backend/fault"
)

// certificateLife is what browsers accept of a certificate; renewBefore is when
// a new one is made.
const (
	certificateLife = 397 * 24 * time.Hour
	renewBefore     = 30 * 24 * time.Hour
)

// Certificate returns this install's own certificate for https on localhost,
// kept in a file of dir that only the user can read; it is made when there is
// none, or when the one there is about to end. Nobody signs it: a browser warns
// of it once. It is no authority, so trusting it trusts nothing else.
func Certificate(dir string) (*tls.Certificate, error) {
	path := filepath.Join(dir, "localhost.pem")
	data, err := os.ReadFile(path)
	if err == nil {
		if pair, err := tls.X509KeyPair(data, data); err == nil && time.Until(pair.Leaf.NotAfter) > renewBefore {
			return &pair, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, certificateFault(err, path)
	}
	data, err = newCertificate(time.Now())
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = replaceFile(path, data)
	}
	if err != nil {
		return nil, certificateFault(err, path)
	}
	pair, err := tls.X509KeyPair(data, data)
	return &pair, err
}

func certificateFault(err error, path string) error {
	return fault.Wrap(err, fault.DiskFull, "The certificate for https on this computer cannot be kept in %q. Check that the folder is yours and that the disk has room.", path)
}

func newCertificate(now time.Time) ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	made := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Keyturn on this computer"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, // and no authority
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, made, made, &private.PublicKey, private)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), nil
}

func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".localhost-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
