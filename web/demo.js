// Lists the studies that a pasted token may see, by the same search any other client uses.
'use strict';

const LIMIT = 20;
const byId = (id) => document.getElementById(id);

byId('base').textContent = location.origin + '/dicomweb';

byId('ask').addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = event.submitter ?? byId('ask').querySelector('button');
  button.disabled = true;
  say('Searching… 検索中');
  try {
    show(await search(byId('token').value.trim()));
  } catch (failure) {
    byId('result').hidden = true;
    say(failure.message, true);
  } finally {
    button.disabled = false;
  }
});

async function search(token) {
  const answer = await fetch(`/dicomweb/studies?limit=${LIMIT}&includefield=StudyDescription`, {
    headers: { Accept: 'application/dicom+json', Authorization: `Bearer ${token}` },
    cache: 'no-store',
  });
  if (answer.status === 204) return { studies: [], more: false };
  if (!answer.ok) throw new Error(await reason(answer));
  return { studies: await answer.json(), more: answer.headers.has('Warning') };
}

async function reason(answer) {
  if (answer.status === 401) return 'This token is not accepted here. このトークンは使えません。';
  const problem = await answer.json().catch(() => ({}));
  return `${answer.status} ${problem.detail ?? problem.title ?? answer.statusText}`;
}

function show({ studies, more }) {
  byId('rows').replaceChildren(...studies.map(row));
  byId('result').hidden = studies.length === 0;
  if (studies.length === 0) say('No study is visible to this token. 表示できる検査はありません。');
  else if (more) say(`The first ${studies.length} studies. 先頭の ${studies.length} 件です。`);
  else say(`${studies.length} ${studies.length === 1 ? 'study' : 'studies'}. ${studies.length} 件です。`);
}

function row(study) {
  const line = document.createElement('tr');
  const [name] = values(study, '00100010');
  const patient = cell(name?.Alphabetic ?? '');
  if (name?.Ideographic) {
    const ideographic = document.createElement('span');
    ideographic.lang = 'ja';
    ideographic.className = 'ideographic';
    ideographic.textContent = name.Ideographic;
    patient.append(ideographic);
  }
  line.append(
    cell(date(text(study, '00080020'))),
    patient,
    cell(text(study, '00100020')),
    cell(text(study, '00081030')),
    cell(values(study, '00080061').join(', ')),
    cell(text(study, '00201206'), 'number'),
    cell(text(study, '00201208'), 'number'),
  );
  return line;
}

function cell(content, kind) {
  const made = document.createElement('td');
  made.textContent = content;
  if (kind) made.className = kind;
  return made;
}

function values(study, tag) {
  return (study[tag]?.Value ?? []).filter((value) => value !== null);
}

function text(study, tag) {
  return String(values(study, tag)[0] ?? '');
}

function date(stored) {
  return /^\d{8}$/.test(stored) ? `${stored.slice(0, 4)}-${stored.slice(4, 6)}-${stored.slice(6)}` : stored;
}

function say(message, wrong = false) {
  byId('status').textContent = message;
  byId('status').classList.toggle('wrong', wrong);
}
