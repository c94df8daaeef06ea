import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A certificate that nobody signed but itself, for 127.0.0.1, and its key. */
export interface Certificate {
  /** For a server: both, and the password of their file. */
  tls: { pfx: Buffer; passphrase: string }
  /** For who is to trust it: the file with the certificate alone. */
  file: string
}

const PASSWORD = 'sesame'

/** Made by the keytool of the JDK, which the emulator needs anyway. */
export function createCertificate (directory: string, name: string): Certificate {
  const store = join(directory, `${name}.p12`)
  const file = join(directory, `${name}.pem`)
  const common = ['-keystore', store, '-storetype', 'PKCS12', '-storepass', PASSWORD, '-alias', name]
  execFileSync(
    'keytool',
    [
      '-genkeypair',
      ...common,
      '-keyalg',
      'EC',
      '-dname',
      `CN=${name}`,
      '-ext',
      'san=ip:127.0.0.1,dns:localhost',
      '-validity',
      '2'
    ],
    { stdio: 'ignore' }
  )
  execFileSync('keytool', ['-exportcert', ...common, '-rfc', '-file', file], { stdio: 'ignore' })
  return { tls: { pfx: readFileSync(store), passphrase: PASSWORD }, file }
}
