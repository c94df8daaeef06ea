import t from 'tap'
import { asForm, yamlDescriptor } from '../../support/descriptor.js'
import { startServer } from '../../support/server.js'

const post = (type: string, body: Buffer | string): RequestInit => ({ method: 'POST', headers: { 'content-type': type }, body })

const foreign: Array<[string, Buffer, RegExp]> = [
  ['Latin-1', Buffer.from(yamlDescriptor('service1', 'owner: Ren\u00e9\n'), 'latin1'), /^descriptor_unreadable: Line 12, column 11: expected UTF-8[^]*hint: Save the file as UTF-8/],
  ['a replacement character before the broken one', Buffer.concat([Buffer.from('a: \uFFFD\n'), Buffer.from([0x62, 0xC3, 0x28])]), /^descriptor_unreadable: Line 2, column 2: /],
  ['UTF-16', Buffer.from('\uFEFF' + yamlDescriptor(), 'utf16le'), /^descriptor_unreadable: Line 1, column 1: expected UTF-8[^]*hint: The file is UTF-16/],
  ['UTF-16 of the other order', Buffer.from('\uFEFF' + yamlDescriptor(), 'utf16le').swap16(), /^descriptor_unreadable: [^]*hint: The file is UTF-16/]
]

t.test('a descriptor that is not UTF-8 is refused instead of altered, as a file and as a body', async t => {
  const server = await startServer(t)
  for (const [what, bytes, message] of foreign) {
    const form = new FormData()
    form.set('file', new Blob([bytes]), 'deploy.yaml')
    for (const init of [{ method: 'POST', body: form }, post('application/yaml', bytes)]) {
      const answer = await server.fetch('/api/deploy', init)
      t.equal(answer.status, 400, what)
      t.match(await answer.text(), message, what)
    }
  }
  t.same(await server.json('/api/jobs'), [])
})

t.test('UTF-8 with a byte order mark, in upper case, with a charset, with Windows line ends, is taken', async t => {
  const server = await startServer(t)
  const bodies: Array<[string, string]> = [
    ['APPLICATION/YAML', yamlDescriptor('a', 'owner: Ren\u00e9 \u{1F600}\n')],
    ['text/yaml; charset="UTF-8"', '\uFEFF' + yamlDescriptor('b')],
    ['application/x-yaml;charset=utf-8', yamlDescriptor('c').replaceAll('\n', '\r\n')]
  ]
  for (const [type, body] of bodies) t.equal((await server.fetch('/api/deploy', post(type, body))).status, 200, type)
  t.match(await server.json('/api/jobs'), [{ owner: 'Ren\u00e9 \u{1F600}' }, { service_name: 'b' }, { service_name: 'c' }])
})

t.test('no way in takes more than 1 MiB, or cuts a descriptor to fit', async t => {
  const server = await startServer(t)
  // Cut at 1 MiB it would be a good descriptor.
  const long = `${yamlDescriptor()}#`.padEnd(1024 * 1024, 'x') + '\nreplicas: 9\n'
  const field = new FormData()
  field.set('file', long)
  for (const init of [{ method: 'POST', body: field }, asForm(long), post('application/yaml', long), post('application/json', long)]) {
    t.equal((await server.fetch('/api/deploy', init)).status, 413)
  }
  // Not a content type of descriptors: the limit of any other body holds for it.
  t.equal((await server.fetch('/api/deploy', post('text/plain', long))).status, 413)
  t.equal((await server.fetch('/api/v1/jobs', post('text/plain', yamlDescriptor()))).status, 415)
  t.same(await server.json('/api/jobs'), [])
})
