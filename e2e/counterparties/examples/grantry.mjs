// A token of a user's at a vendor, by token exchange (RFC 8693). No dependency.
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';

// ConsentRequired: the user has to do something at uri first ('' when they declined lately).
export class ConsentRequired extends Error {
  constructor(connection, answer) {
    super(`${connection} needs its user: ${answer.error_reason}`);
    Object.assign(this, { name: 'ConsentRequired', connection, reason: answer.error_reason, missing: answer.missing_scopes ?? [], uri: answer.consent_uri ?? '' });
  }
}

// ExchangeError: anything else. Nobody has to consent to anything; retryAfter is in seconds.
export class ExchangeError extends Error {
  constructor(status, answer, retryAfter) {
    super(`the exchange was answered ${status} ${answer.error ?? ''}: ${answer.error_description ?? ''}`);
    Object.assign(this, { name: 'ExchangeError', status, code: answer.error, reason: answer.error_reason, retryAfter });
  }
}

export function grantry({ url, clientId, clientSecret }) {
  const kept = new Map(); // by what proves the user, too: another user's token must never be found
  const encode = (text) => encodeURIComponent(text).replaceAll('%20', '+');
  const basic = Buffer.from(`${encode(clientId)}:${encode(clientSecret)}`).toString('base64');

  async function exchange(form) {
    const asked = Date.now();
    const response = await fetch(`${url}/oauth/token`, {
      method: 'POST',
      redirect: 'manual', // the form holds the user's token
      headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(Object.entries(form).filter(([, value]) => value)),
      signal: AbortSignal.timeout(60_000),
    });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) {
      return { value: answer.access_token, scope: answer.scope, apiBase: answer.api_base, until: asked + (answer.expires_in - 10) * 1000 };
    }
    if (answer.consent_uri || answer.error === 'consent_required') throw new ConsentRequired(form.connection, answer);
    throw new ExchangeError(response.status, answer, Number(response.headers.get('retry-after')) || undefined);
  }

  // refused is a token that the vendor has answered with 401: then another one is asked for.
  return async function token({ subjectToken, connection, scopes = [], account = '', refused }) {
    const key = JSON.stringify([subjectToken, connection, account, [...scopes].sort()]);
    const known = kept.get(key);
    if (known && known.until > Date.now() && known.value !== refused?.value) return known;
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: subjectToken,
      subject_token_type: accessToken,
      connection,
      scope: scopes.join(' '),
      account,
    };
    // A token that lives longer than that one makes Grantry refresh it; where none can, it may have a newer one all the same.
    const least = refused && Math.max(0, Math.ceil((refused.until - Date.now()) / 1000)) + 11;
    const got = await exchange({ ...form, min_ttl: least }).catch((error) => {
      if (!least || error.code !== 'invalid_request') throw error;
      return exchange(form);
    });
    for (const [other, { until }] of kept) if (until <= Date.now()) kept.delete(other);
    kept.set(key, got);
    return got;
  };
}
