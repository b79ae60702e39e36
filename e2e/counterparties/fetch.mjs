// Fetches an address with what this Node trusts, and says {"status","text"} or {"code"} of the error.
import { say, settings } from './say.mjs';

try {
  const response = await fetch(settings().url);
  say({ status: response.status, text: await response.text() });
} catch (error) {
  say({ code: error.cause?.code ?? String(error) });
}
