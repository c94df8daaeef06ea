import t from 'tap'
import { MAX_SERVICES } from '../../../schemas/descriptor.js'
import { MAX_DESCRIPTOR_BYTES } from '../../../descriptor/read.js'
import { complaints, least, leastRead, readDescriptor, readDescriptors, refusal } from './sample.js'

/** A document of an application; the services begin on line 5. */
const application = (services: string, more = ''): string => `app_name: demo
app_ns: default
service_ns: test
microservices:
${services}${more}`

const own = { app_name: 'demo', app_ns: 'default', service_ns: 'test', api_version: 'v0.1' }

t.test('a file of one service reads as before, in each of the forms', async (t) => {
  for (const text of [least, `---\n${least}---\n# nothing more\n`, application('- {service_name: service1, image: nginx}\n')]) {
    t.same(readDescriptors(text), [leastRead], text)
    t.same(readDescriptor(text), leastRead, text)
  }
})

t.test('the services of an application inherit what stands beside them', async (t) => {
  t.same(readDescriptors(application(`
- service_name: web
  image: nginx
- service_name: unikernel
  service_ns: other
  image: oci
  image_runtime: unikernel
  requirements: {cpu: 2}
- service_name: anywhere
  image: nginx
  cluster_location:
`, 'cluster_location: hpi\nimage_runtime: docker\nrequirements: {cpu: 1, memory: 100}\ngpu: [1]\nplacement: pack\n')), [
    { ...own, service_name: 'web', image: 'nginx', cluster_location: 'hpi', image_runtime: 'docker', requirements: { cpu: 1, memory: 100 }, gpu: [1], placement: 'pack' },
    { ...own, service_name: 'unikernel', service_ns: 'other', image: 'oci', cluster_location: 'hpi', image_runtime: 'unikernel', requirements: { cpu: 2 }, gpu: [1], placement: 'pack' },
    { ...own, service_name: 'anywhere', image: 'nginx', image_runtime: 'docker', requirements: { cpu: 1, memory: 100 }, gpu: [1], placement: 'pack' }
  ])
})

t.test('several documents are several services, and empty ones are none', async (t) => {
  const text = `# all of it\n---\n${least}---\n# nothing\n---\n${application('- {service_name: a, image: x}\n- {service_name: b, image: x}\n')}...\n---\n`
  t.same(readDescriptors(text).map(({ service_name: name }) => name), ['service1', 'a', 'b'])
})

t.test('anchors end with their document', async (t) => {
  t.same(complaints(`${least}x: &x 1\n---\n${least}y: *x\n`), ['13:4 y: there is no anchor &x before the alias *x'])
})

t.test('every mistake in every service is reported with its path, line and column', async (t) => {
  t.same(complaints(application(`
- service_name: a.b
  image: x
- service_name: b
  requirements: {cpu: lots, memory: 1}
- just text
- service_name: c
  image: x
  port: 70000
`, 'requirements: {cpu: -1}\n')), [
    '6:17 microservices[0].service_name: expected 1 to 63 letters, digits, "-" or "_", got the string "a.b"',
    '8:3 microservices[1].image: expected a string of 1 to 2048 characters, but the field is missing',
    '9:23 microservices[1].requirements.cpu: expected a number of at least 0, got the string "lots"',
    '10:3 microservices[2]: expected a mapping of fields, got the string "just text"',
    '13:9 microservices[3].port: expected each port to be a whole number from 1 to 65535, got the number 70000',
    '14:21 requirements.cpu: expected a number of at least 0, got the number -1'
  ])
})

t.test('if there are several documents, the number of the document is reported, too', async (t) => {
  const { violations, message } = refusal(`${least}port: x\n---\n---\n${application('- {service_name: a, image: 1}\n')}`)
  t.same(violations?.map(({ document, line, column, field }) => [document, line, column, field]), [[1, 6, 7, 'port'], [3, 13, 28, 'microservices[0].image']])
  t.match(message, 'Document 1, line 6, column 7: port: expected')
  t.same(refusal(`${least}a: &a 1\n---\na: 1\na: 2\n---\n[]\n`).violations?.map(({ document, line }) => [document, line]), [[2, 9], [3, 11]])
  t.notOk('document' in refusal(`${least}port: x\n`).violations![0]!)
})

t.test('a mistake in an inherited field is reported once', async (t) => {
  t.same(complaints(application('- {service_name: a, image: x}\n- {service_name: b, image: x}\n', 'replicas: 0.5\n')), [
    '7:11 replicas: expected a whole number of at least 0, got the number 0.5'
  ])
  t.same(complaints('app_ns: default\nservice_ns: test\nimage: x\nmicroservices:\n- {service_name: a}\n- {service_name: b}\n'), [
    '1:1 app_name: expected 1 to 63 letters, digits, "-" or "_", but the field is missing'
  ])
})

t.test('an entry may not name another application, nor services of its own', async (t) => {
  t.same(complaints(application('- {service_name: a, image: x, app_name: other, app_ns: default}\n- {service_name: b, image: x, microservices: []}\n')), [
    '5:41 microservices[0].app_name: expected no app_name, which belongs beside microservices, got the string "other"',
    '6:46 microservices[1].microservices: expected no microservices inside an entry'
  ])
})

t.test('fields that differ between services are refused beside the list', async (t) => {
  t.same(complaints(application('- {service_name: a, image: x}\n', 'service_name: b\nRR_ip: 172.30.1.1\n')), [
    '6:15 service_name: expected no service_name beside microservices: each service has its own',
    '7:8 RR_ip: expected no RR_ip beside microservices: each service has its own'
  ])
})

t.test('a list of services is a list, with something in it', async (t) => {
  t.same(complaints(application('', '  a: 1\n')), ['5:3 microservices: expected a list of services, got an object'])
  t.same(complaints(application('  []\n')), ['5:3 microservices: expected a list of services, got an empty list'])
  t.same(complaints(application('\n')), ['4:1 microservices: expected a list of services, got nothing'])
})

t.test('two services of one name, or that request one address, are refused at the second', async (t) => {
  t.same(complaints(`${application('- {service_name: a, image: x}\n- {service_name: a, image: y, RR_ip: 172.30.1.1}\n')}---\n${least.replace('service1', 'a')}RR_ip: 172.30.1.1\n`), [
    '6:18 microservices[1].service_name: expected a name of its own: the service on line 5 already has demo.default.a.test',
    '10:15 service_name: expected a name of its own: the service on line 5 already has demo.default.a.test',
    '13:8 RR_ip: expected an address of its own: the service on line 6 already has 172.30.1.1'
  ])
})

t.test('a file has a bounded number of services, and of documents', async (t) => {
  const entries = (count: number) => Array.from({ length: count }, (_, i) => `- {service_name: s${i}, image: x}\n`).join('')
  t.equal(readDescriptors(application(entries(MAX_SERVICES))).length, MAX_SERVICES)
  t.match(complaints(application(entries(MAX_SERVICES + 1))), [/^105:3 microservices\[100\]: expected at most 100 services, got 101/])
  t.match(complaints(`${application(entries(MAX_SERVICES))}---\n${least}`), [/expected at most 100 services in all/])
  t.match(complaints(`${least}---\n`.repeat(MAX_SERVICES + 1)), [/expected at most 100 documents/])
})

t.test('what the services inherit is bounded as what aliases repeat is', async (t) => {
  const entries = Array.from({ length: 100 }, (_, i) => `- {service_name: s${i}, image: x}\n`).join('')
  const started = performance.now()
  t.match(complaints(application(entries, `environment: "${'x'.repeat(MAX_DESCRIPTOR_BYTES - 10_000)}"\n`)), [/^5:1 microservices: the inherited fields would expand/])
  const aliases = (n: number) => `${least.replace('service1', `s${n}`)}a: &a "${'x'.repeat(9000)}"\nb: [${Array.from({ length: 80 }, () => '*a').join(',')}]\n`
  t.match(refusal(Array.from({ length: 90 }, (_, n) => aliases(n)).join('---\n')).message, 'the aliases up to here would expand')
  t.ok(performance.now() - started < 5000)
})

t.test('where one service is expected, several are refused with a hint', async (t) => {
  t.throws(() => readDescriptor(application('- {service_name: a, image: x}\n- {service_name: b, image: x}\n')), { code: 'descriptor_invalid', message: 'expected one service, got 2', hint: /POST \/api\/v1\/applications/ })
})

t.test('an update that may neither stop nor start anything is refused', async (t) => {
  const message = 'expected at least 1 here or in max_surge: an update could never begin'
  t.same(complaints(`${least}rollout: {max_unavailable: 0}\n`), [`6:28 rollout.max_unavailable: ${message}`])
  t.same(complaints(`${least}rollout: {max_unavailable: 0, max_surge: 0}\n`), [`6:28 rollout.max_unavailable: ${message}`])
  t.equal(refusal(`${least}rollout: {max_unavailable: 0}\n`).hint, 'rollout.max_unavailable: Leave it out, or set max_surge.')
  for (const rollout of ['{max_unavailable: 0, max_surge: 1}', '{max_surge: 0}', '{}', '{max_unavailable: 1}']) t.doesNotThrow(() => readDescriptor(`${least}rollout: ${rollout}\n`), rollout)
})
