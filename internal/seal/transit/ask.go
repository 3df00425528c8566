package transit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
	"strongroom/internal/seal"
)

// answer is Vault's refusal of a request.
type answer struct {
	status int // 0 where Vault has not answered
	text   string
}

func (a answer) says(part string) bool { return strings.Contains(a.text, part) }

func refusal(err error) answer {
	var r *api.ResponseError
	if !errors.As(err, &r) {
		return answer{}
	}
	return answer{r.StatusCode, errs.ClipTo(200, strings.Join(strings.Fields(strings.Join(r.Errors, "; ")), " "))}
}

// read reads a path. Other than the client's own reading it does not take what is missing for an answer, so that a
// missing engine can be told from a missing key.
func (t *transitSeal) read(ctx context.Context, at string) (map[string]any, error) {
	resp, err := t.conn.Client.Logical().ReadRawWithContext(ctx, at)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	var body struct {
		Data map[string]any `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, fmt.Errorf("Vault's answer from %s is not understood", at)
	}
	return body.Data, nil
}

// ask has the engine encrypt or decrypt, and says what its refusals mean. Their words are those of Vault 1.13 and
// later, and of OpenBao; where they should change, what they mean is left open and the words are shown.
func (t *transitSeal) ask(ctx context.Context, act string, body map[string]any) (map[string]any, error) {
	at := t.path(act)
	secret, err := t.conn.Client.Logical().WriteWithContext(ctx, at, body)
	f := refusal(err)
	switch {
	case err == nil && secret != nil:
		return secret.Data, nil
	case err == nil:
		return nil, fmt.Errorf("Vault's answer from %s is empty", at)
	case f.status == 403:
		return nil, fmt.Errorf("Vault at %s does not let the token use %s: it has ended, or lacks a policy: %s",
			t.conn.Address, at, t.policy())
	case f.status == 404 && f.says("no handler for route"):
		return nil, t.noMount()
	case f.says("encryption key not found"):
		return nil, fmt.Errorf("there is no key %s at %s/ in Vault any more: it has been deleted, and what it sealed "+
			"cannot be opened, unless Vault is restored from a backup that has it",
			t.source.Key, t.source.mount())
	case f.says("disallowed by policy"):
		return nil, t.tooOld(body)
	case f.says("message authentication failed"), f.says("invalid ciphertext"), f.says("version is too new"):
		return nil, fmt.Errorf("the %s at %s did not make it, or it is damaged (a key of the same name in another "+
			"Vault, or one that was deleted and made again, is another key): %w",
			t.source, t.conn.Address, seal.ErrUnwrap)
	case f.status == 400:
		return nil, fmt.Errorf("the %s cannot be used as a seal (%s refuses: %s)", t.source, at, f.text)
	}
	return nil, t.conn.WhileAsking(ctx, at, err)
}

// tooOld says which version of the key Vault no longer decrypts with.
func (t *transitSeal) tooOld(body map[string]any) error {
	ciphertext, _ := body["ciphertext"].(string)
	version, _, _ := strings.Cut(strings.TrimPrefix(ciphertext, "vault:v"), ":")
	if n, err := strconv.ParseUint(version, 10, 31); err != nil || n == 0 {
		version = "<an older one>"
	}
	return fmt.Errorf("version %s of the %s sealed the root key, and Vault is set not to decrypt with it any more: "+
		"set it back with `vault write %s/config min_decryption_version=%[1]s`, start, and run `influx seal change`, "+
		"which seals with the newest version; a version that was trimmed is lost", version, t.source, t.path("keys"))
}
