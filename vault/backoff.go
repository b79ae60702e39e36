package vault

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

const recBackOff = "backoff"

// backOffState is how long no new dialog is shown, and how long the next time.
type backOffState struct {
	Until int64 `json:"until"`
	Step  int64 `json:"step"` // milliseconds
}

// BackOff notes that the person declined in the client's dialog (2 minutes,
// doubling to 30), or only closed it (30 seconds).
func (v *Vault) BackOff(ctx context.Context, c Caller, a Agent, connection string, closed bool) error {
	return v.store.Update(ctx, func(tx Tx) error {
		user, _, err := v.ensureUser(tx, c)
		if err != nil {
			return err
		}
		e := Entry{Kind: "ticket.dismissed", Caller: c, Agent: a, Connection: connection, Reason: "declined"}
		if closed {
			e.Reason = "closed"
		}
		return errors.Join(v.putBackOff(tx, user, a, connection, closed), v.append(tx, e))
	})
}

func (v *Vault) backOffHandle(user string, a Agent, connection string) string {
	return v.index("backoff", user, v.agentKey(a), connection)
}

func (v *Vault) backOff(tx Tx, user string, a Agent, connection string) (b backOffState, err error) {
	_, plain, err := v.getRecord(tx, recBackOff, v.backOffHandle(user, a, connection))
	if errors.Is(err, ErrNotFound) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(plain, &b)
	}
	return b, err
}

func (v *Vault) putBackOff(tx Tx, user string, a Agent, connection string, closed bool) error {
	b, err := v.backOff(tx, user, a, connection)
	if err != nil {
		return err
	}
	if closed {
		b.Until = max(b.Until, v.now()+(30*time.Second).Milliseconds())
	} else {
		b.Step = min(max(2*b.Step, (2*time.Minute).Milliseconds()), (30 * time.Minute).Milliseconds())
		b.Until = v.now() + b.Step
	}
	plain, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return v.putRecord(tx, recBackOff, v.backOffHandle(user, a, connection), user, plain, b.Until+time.Hour.Milliseconds())
}
