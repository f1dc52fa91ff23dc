// Exchanges a pasted token for a session and goes on to where the reader came from.
'use strict';

const byId = (id) => document.getElementById(id);

byId('ask').addEventListener('submit', async (event) => {
  event.preventDefault();
  const headers = { Authorization: `Bearer ${byId('token').value.trim()}` };
  const answer = await fetch('/api/v1/auth/session', { method: 'POST', headers }).catch(() => null);
  byId('token').value = '';
  if (answer?.ok) location.replace(destination());
  else byId('status').textContent = reason(answer);
});

// A path of this server and nothing else, whatever the address bar holds.
function destination() {
  const then = new URL(new URLSearchParams(location.search).get('then') ?? '/', location.origin);
  return then.origin === location.origin ? then.pathname + then.search : '/';
}

function reason(answer) {
  if (!answer) return 'The server does not answer. サーバーが応答しません。';
  if (answer.status === 401) return 'This token is not accepted here. このトークンは使えません。';
  return `The sign-in failed (${answer.status}). サインインできませんでした。`;
}
