// Drives kura with the dicomweb-client of the JavaScript world (the one in OHIF) and counts its calls.
//
// Usage: node client.mjs BASE TOKEN FILE... Each call is one line; the last says how many passed and which functions of the
// client were called. Exit code 1 if a call did not pass or a function was not called.

import { readFileSync } from 'node:fs';
import module from 'node:module';

const require = module.createRequire(import.meta.url);
globalThis.XMLHttpRequest = require('xhr2');
const { api } = require('dicomweb-client');

const [base, token, ...files] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const client = new api.DICOMwebClient({ url: base, headers });
const anonymous = new api.DICOMwebClient({ url: base, errorInterceptor: () => {} });

const study = { studyInstanceUID: '1.2.826.7.1' };
const series = { ...study, seriesInstanceUID: '1.2.826.7.1.1' };
const instance = { ...series, sopInstanceUID: '1.2.826.7.1.1.1' };

let passed = 0;
let calls = 0;
const called = new Set();

async function call(name, options, judge, on = client) {
    calls += 1;
    called.add(name);
    try {
        const given = await on[name](options);
        if (judge(given) === false) throw new Error(`not as expected: ${JSON.stringify(given)?.slice(0, 200)}`);
        passed += 1;
        console.log(`ok   ${name}`);
    } catch (error) {
        console.log(`FAIL ${name}: ${error.status ?? ''} ${error.message} ${error.response ?? ''}`);
    }
}

/** A picture, or a status that says that there is none. */
async function picture(name, options) {
    calls += 1;
    called.add(name);
    try {
        const given = await client[name](options);
        const bytes = new Uint8Array(Array.isArray(given) ? given[0] : given);
        if (bytes[0] !== 0xff && bytes[0] !== 0x89) throw new Error(`no picture: ${bytes.length} bytes, ${bytes.slice(0, 4)}`);
        passed += 1;
        console.log(`ok   ${name}`);
    } catch (error) {
        const isAbsent = [404, 406, 501].includes(error.status);
        passed += isAbsent ? 1 : 0;
        console.log(`${isAbsent ? 'none' : 'FAIL'} ${name}: ${error.status ?? ''} ${error.message}`);
    }
}

async function refused(name, options, status, on = client) {
    calls += 1;
    try {
        await on[name](options);
        console.log(`FAIL ${name}: no ${status}`);
    } catch (error) {
        passed += error.status === status ? 1 : 0;
        console.log(`${error.status === status ? 'ok  ' : 'FAIL'} ${name}: ${error.status}`);
    }
}

const buffers = files.map((file) => new Uint8Array(readFileSync(file)).buffer);
const part10 = (buffer) => new TextDecoder().decode(new Uint8Array(buffer, 128, 4)) === 'DICM';

await call('storeInstances', { datasets: buffers }, () => true);
await call('storeInstances', { datasets: buffers, ...study }, () => true);
await refused('storeInstances', { datasets: buffers, studyInstanceUID: '1.2.9' }, 409);
await call('searchForStudies', {}, (found) => found.length === 1);
await call('searchForStudies', { queryParams: { PatientID: 'P1', limit: 5, offset: 0 } }, (found) => found.length === 1);
await call('searchForStudies', { queryParams: { PatientID: 'none' } }, (found) => found.length === 0);
await call('searchForSeries', study, (found) => found.length === 1);
await call('searchForSeries', { queryParams: { Modality: 'CT' } }, (found) => found.length === 1);
await call('searchForInstances', series, (found) => found.length === files.length);
await call('searchForInstances', { queryParams: { InstanceNumber: 2 } }, (found) => found.length === 1);
await call('retrieveStudyMetadata', study, (heads) => heads.length === files.length);
await call('retrieveSeriesMetadata', series, (heads) => heads.length === files.length);
await call('retrieveInstanceMetadata', instance, ([head]) => head['00080018'].Value[0] === instance.sopInstanceUID);
await call('retrieveInstanceFrames', { ...instance, frameNumbers: [1] }, (frames) => frames[0].byteLength === 32);
const octets = [{ mediaType: 'application/octet-stream', transferSyntaxUID: '*' }];
await call('retrieveInstanceFrames', { ...instance, frameNumbers: [1, 1], mediaTypes: octets }, (frames) => frames.length === 2);
await call('retrieveInstance', instance, part10);
await call('retrieveSeries', series, (all) => all.length === files.length && all.every(part10));
await call('retrieveStudy', study, (all) => all.length === files.length && all.every(part10));
let progress = 0;
const request = { progressCallback: () => { progress += 1; } };
await call('retrieveStudy', { ...study, request }, () => progress > 0);
const [head] = await client.retrieveSeriesMetadata(series);
const BulkDataURI = head['7FE00010'].BulkDataURI;
await call('retrieveBulkData', { BulkDataURI }, (parts) => parts[0].byteLength === 32);
await call('retrieveBulkData', { BulkDataURI, mediaTypes: [{ mediaType: 'application/octet-stream' }] }, (parts) => parts[0].byteLength === 32);
await call('retrieveBulkData', { BulkDataURI, mediaTypes: [{ mediaType: 'application/octet-stream' }], byteRange: [0, 511] }, (parts) => parts[0].byteLength === 32);
await call('buildInstanceWadoURIUrl', instance, (url) => url.includes('requestType=WADO') && url.includes(instance.sopInstanceUID));
for (const mediaTypes of [[{ mediaType: 'image/jpeg' }], [{ mediaType: 'image/png' }]]) {
    await picture('retrieveInstanceRendered', { ...instance, mediaTypes });
    await picture('retrieveInstanceThumbnail', { ...instance, mediaTypes });
    await picture('retrieveInstanceFramesRendered', { ...instance, frameNumbers: [1], mediaTypes });
    await picture('retrieveInstanceFramesThumbnail', { ...instance, frameNumbers: [1], mediaTypes });
}
await refused('retrieveStudyMetadata', { studyInstanceUID: '1.2.9' }, 404);
await refused('searchForStudies', {}, 401, anonymous);
called.add('constructor');
for (const name of ['setDebug', 'getDebug', 'setVerbose', 'getVerbose']) {
    if (typeof client[name] === 'function') await call(name, false, () => true);
}

const all = Object.getOwnPropertyNames(api.DICOMwebClient.prototype).filter((name) => !name.startsWith('_'));
const left = all.filter((name) => !called.has(name) && typeof client[name] === 'function');
if (left.length > 0) console.log(`FAIL never called: ${left.join(' ')}`);
console.log(`calls ${calls}, passed ${passed}`);
process.exitCode = calls === passed && left.length === 0 ? 0 : 1;
