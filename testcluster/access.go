package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// access is who can do what: the certificates, tokens and kubeconfigs of a directory.
type access struct {
	dir   string
	ca    *x509.Certificate
	key   crypto.Signer
	caPEM []byte
}

// newAccess makes a CA, the apiserver's certificate and the key of service accounts, and writes them.
func newAccess(dir string) (*access, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t, err := template(pkix.Name{CommonName: "testcluster-ca"})
	if err != nil {
		return nil, err
	}
	t.IsCA = true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &access{dir: dir, ca: ca, key: key, caPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	cert, certKey, err := a.issue(pkix.Name{CommonName: "kube-apiserver"}, true)
	if err != nil {
		return nil, err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	accountsPEM, err := keyPEM(accounts)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"ca.crt": a.caPEM, "apiserver.crt": cert, "apiserver.key": certKey, "sa.key": accountsPEM,
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// writeUsers writes the tokens and a kubeconfig for each user: the administrator by certificate and
// by token, and each node.
func (a *access) writeUsers(server string, nodes []string) error {
	cert, key, err := a.issue(pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, false)
	if err != nil {
		return err
	}
	user := &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	if err := a.writeKubeconfig("kubeconfig", server, user); err != nil {
		return err
	}
	var tokens strings.Builder
	withToken := func(file, token, user, group string) error {
		fmt.Fprintf(&tokens, "%s,%s,%s,%s\n", token, user, user, group)
		return a.writeKubeconfig(file, server, &clientcmdapi.AuthInfo{Token: token})
	}
	if err := withToken("kubeconfig-token", "token-admin", "admin", "system:masters"); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := withToken("kubeconfig-node-"+n, "token-node-"+n, "system:node:"+n, "system:nodes"); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(a.dir, "tokens.csv"), []byte(tokens.String()), 0o600)
}

func (a *access) writeKubeconfig(file, server string, user *clientcmdapi.AuthInfo) error {
	c := clientcmdapi.NewConfig()
	c.Clusters["testcluster"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: a.caPEM}
	c.AuthInfos["user"] = user
	c.Contexts["testcluster"] = &clientcmdapi.Context{Cluster: "testcluster", AuthInfo: "user", Namespace: "default"}
	c.CurrentContext = "testcluster"
	return clientcmd.WriteToFile(*c, filepath.Join(a.dir, file))
}

func (a *access) issue(name pkix.Name, server bool) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t, err := template(name)
	if err != nil {
		return nil, nil, err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if server {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		t.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
		t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
	} else {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.ca, k.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(k)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, err
}

func template(name pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               name,
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(30 * 24 * time.Hour),
		BasicConstraintsValid: true,
	}, nil
}

func keyPEM(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
