import t from 'tap'
import { createCertificate } from '../support/certificate.js'
import { startDatabase, withOption } from '../support/database.js'
import { startMongoProxy } from '../support/mongo-wire/proxy.js'
import { runServerProcess, startServerProcess } from '../support/server-process.js'
import { patience } from '../support/waiting.js'

/** What is wrong with MONGO_URI ends the start at once, with a line that says what: waiting would not mend it. */

/** The line with which a start ends, and how long it took. MONGO_WAIT_S has its default of a minute. */
async function refusal (uri: string): Promise<{ line: string; ms: number }> {
  const began = performance.now()
  const { code, stderr } = await runServerProcess({ MONGO_URI: uri })
  t.equal(code, 1)
  return { line: stderr, ms: performance.now() - began }
}

t.test('a certificate that is not trusted, and one that is', async t => {
  const uri = await startDatabase(t)
  const directory = t.testdir({})
  const [own, other] = [createCertificate(directory, 'own'), createCertificate(directory, 'other')]
  const proxy = await startMongoProxy(t, uri, { tls: own.tls })
  const trusting = (file: string) => withOption(proxy.uri, `tls=true&tlsCAFile=${encodeURIComponent(file)}`)
  const { line, ms } = await refusal(trusting(other.file))
  t.match(
    line,
    /^system-manager: The certificate of the database is not trusted \(see tlsCAFile in MONGO_URI\): [^\n]+\n$/
  )
  t.ok(ms < patience(10_000), `after ${Math.round(ms)} ms`)
  const server = await startServerProcess(t, { MONGO_URI: trusting(own.file) })
  t.equal(await (await fetch(`${server.url}/api/jobs`)).text(), '[]')
})

t.test('a file that is not there', async t => {
  const { line } = await refusal('mongodb://127.0.0.1:1/?tls=true&tlsCAFile=/nowhere.pem')
  t.match(line, /^system-manager: A file that MONGO_URI names cannot be read: [^\n]*\/nowhere.pem[^\n]*\n$/)
})

for (const [what, command, code, line] of [
  ['a wrong password', 'saslStart', 18, 'The database refuses the user or the password of MONGO_URI'],
  [
    'a user without rights',
    'createIndexes',
    13,
    'The user of MONGO_URI may not do in the database what the System Manager has to'
  ]
] as const) {
  t.test(what, async t => {
    const uri = await startDatabase(t)
    const proxy = await startMongoProxy(t, uri)
    proxy.fail({ command, how: { error: code, message: 'forged' } })
    const withUser = command === 'saslStart' ? proxy.uri.replace(/\/\/(?:[^@/]*@)?/, '//me:sesame@') : proxy.uri
    const { line: told, ms } = await refusal(withUser)
    t.equal(told, `system-manager: ${line}: forged\n`)
    t.ok(ms < patience(10_000), `after ${Math.round(ms)} ms`)
  })
}
