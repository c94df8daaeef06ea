import t from 'tap'
import { readFileSync } from 'node:fs'
import { jobName } from '../../../descriptor/read.js'
import { complaints, least, leastRead, readDescriptor, refusal } from './sample.js'

const example = (name: string): string => readFileSync(new URL(`../../../examples/${name}`, import.meta.url), 'utf8')

const seed = {
  api_version: 'v0.1',
  app_name: 'demo',
  app_ns: 'default',
  service_name: 'service1',
  service_ns: 'test',
  image: 'docker.io/library/nginx:alpine',
  image_runtime: 'docker',
  port: 80,
  cluster_location: 'hpi',
  node: 'vm-20211019-009',
  requirements: { cpu: 0, memory: 100, node: 'vm-20211019-009' }
}

t.test('the example in YAML and the one in JSON read as the same descriptor', async (t) => {
  t.strictSame(readDescriptor(example('deploy.yaml')), seed)
  t.strictSame(readDescriptor(example('deploy.json')), seed)
  t.equal(jobName(readDescriptor(example('deploy.yaml'))), 'demo.default.service1.test')
})

t.test('the example with replicas reads with three of them and no location', async (t) => {
  const descriptor = readDescriptor(example('replicas.yaml'))
  t.equal(descriptor.replicas, 3)
  t.equal(descriptor.port, '8080:80')
  t.notOk('cluster_location' in descriptor)
  t.notOk('node' in descriptor)
})

t.test('a missing or blank api_version and image_runtime get their defaults, and nothing else is added', async (t) => {
  t.strictSame(readDescriptor(least), leastRead)
  t.strictSame(readDescriptor(`${least}api_version:\nimage_runtime: ""\n`), leastRead)
})

t.test('blank optional fields count as not given, a blank port stays', async (t) => {
  const blank = 'cluster_location:\nnode: ""\nrequirements:\ncmd:\nvolumes: ~\nenvironment: null\nreplicas:\nRR_ip: ""\n'
  t.strictSame(readDescriptor(least + blank), leastRead)
  t.strictSame(readDescriptor(`${least}requirements: {cpu: , memory: null, node: ""}`), { ...leastRead, requirements: {} })
  t.strictSame(readDescriptor(`${least}port:\n`), { ...leastRead, port: null })
  t.strictSame(readDescriptor(`${least}port: ""\n`), { ...leastRead, port: '' })
})

t.test('blank fields that are not known are kept as they are', async (t) => {
  t.strictSame(readDescriptor(`${least}gpu:\nrequirements: {vram: , tpu: ""}\n`), { ...leastRead, gpu: null, requirements: { vram: null, tpu: '' } })
})

t.test('node and requirements.node fill each other', async (t) => {
  const both = { ...leastRead, node: 'n1', requirements: { node: 'n1' } }
  t.strictSame(readDescriptor(`${least}node: n1\n`), both)
  t.strictSame(readDescriptor(`${least}requirements: {node: n1}\n`), both)
  t.strictSame(readDescriptor(`${least}node: n1\nrequirements: {node: n1}\n`), both)
  t.strictSame(readDescriptor(`${least}node:\nrequirements: {cpu: 1, node: n1}\n`), { ...both, requirements: { cpu: 1, node: 'n1' } })
})

t.test('two nodes that differ are refused with both lines', async (t) => {
  t.strictSame(complaints(`${least}node: n1\nrequirements:\n  node: n2\n`), [
    '6:7 node: expected the same as requirements.node on line 8, the string "n2", got the string "n1"'
  ])
})

t.test('unknown fields are kept in the order given', async (t) => {
  const descriptor = readDescriptor(`zebra: {b: [1, 2.5, true, null, text], a: {}}\n${least}apple: x\n`)
  t.strictSame(Object.keys(descriptor), ['zebra', 'app_name', 'app_ns', 'service_name', 'service_ns', 'image', 'apple', 'api_version', 'image_runtime'])
  t.strictSame(descriptor.zebra, { b: [1, 2.5, true, null, 'text'], a: {} })
})

t.test('ports are taken as a number, as text and in pairs, from 1 to 65535', async (t) => {
  for (const port of ['1', '65535', '"80"', '8080:80', '"65535:1"']) t.doesNotThrow(() => readDescriptor(`${least}port: ${port}\n`), port)
})

t.test('YAML is read by the core schema of 1.2: no booleans from "yes", no dates, no sexagesimal numbers', async (t) => {
  const { x } = readDescriptor(`${least}x: [yes, off, 2021-10-19, 8080:80, 0o17, 0x1f, ~, 1_000]\n`)
  t.strictSame(x, ['yes', 'off', '2021-10-19', '8080:80', 15, 31, null, '1_000'])
})

t.test('number keys become strings as they are written', async (t) => {
  t.strictSame(readDescriptor(`${least}x: {80: a, 1.50: b, true: c}\n`).x, { 80: 'a', '1.50': 'b', true: 'c' })
})

t.test('aliases repeat what their anchor named at that point', async (t) => {
  const text = `${least}a: &v 1\nb: *v\nc: &m {x: *v, y: [*v]}\nd: &v 2\ne: [*v, *m]\n`
  const { b, e } = readDescriptor(text)
  t.equal(b, 1)
  t.strictSame(e, [2, { x: 1, y: [1] }])
})

t.test('a byte order mark, Windows line ends, document marks and tabs in JSON are fine', async (t) => {
  t.strictSame(readDescriptor(`\uFEFF${least}`), leastRead)
  t.strictSame(readDescriptor(least.replaceAll('\n', '\r\n')), leastRead)
  t.strictSame(readDescriptor(`%YAML 1.2\n---\n${least}...\n`), leastRead)
  t.strictSame(readDescriptor(`\uFEFF${JSON.stringify(leastRead, null, '\t').replaceAll('\n', '\r\n')}`), leastRead)
})

t.test('positions do not count the byte order mark, and Windows line ends count once', async (t) => {
  t.strictSame(complaints(`\uFEFFapp_name: 1\r\n${least.slice(15).replaceAll('\n', '\r\n')}port: x\r\n`), [
    '1:11 app_name: expected 1 to 63 letters, digits, "-" or "_", got the number 1',
    '6:7 port: expected 80, "8080:80", several as "6080:80/tcp;7000:70/udp", or empty, got the string "x"'
  ])
})

t.test('a job_name that the names make anyway is dropped, another one is refused', async (t) => {
  t.strictSame(readDescriptor(`${least}job_name: demo.default.service1.test\n`), leastRead)
  t.strictSame(complaints(`${least}job_name: other\n`), [
    '6:11 job_name: expected no job_name, or the four names joined by dots, got the string "other": the System Manager sets it'
  ])
})

t.test('fields of the job document that the System Manager sets are refused', async (t) => {
  t.strictSame(complaints(`${least}_id: 1\nstatus: RUNNING\nservice_ip_list: []\ninstance_list: []\nsystem_manager: x\n`), [
    '6:6 _id: expected no _id: the System Manager sets it',
    '7:9 status: expected no status: the System Manager sets it',
    '8:18 service_ip_list: expected no service_ip_list: the System Manager sets it',
    '9:16 instance_list: expected no instance_list: the System Manager sets it',
    '10:17 system_manager: expected no system_manager: the System Manager sets it'
  ])
})

t.test('a text with nothing in it is a missing descriptor', async (t) => {
  for (const text of ['', '\uFEFF', ' \n\t\n', '# only a comment\n', '---\n', '~', 'null', '---\n# nothing\n...\n']) {
    t.equal(refusal(text).code, 'descriptor_missing', JSON.stringify(text))
  }
})
