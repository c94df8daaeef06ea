import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'

const root = new URL('../../', import.meta.url)
const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(new URL('docs/', root)).map(name => `docs/${name}`)]

/** Lines to be copied into a shell, by page. */
const commands = pages
  .filter(page => page.endsWith('.md'))
  .flatMap(page =>
    [
      ...readFileSync(new URL(page, root), 'utf8').matchAll(
        /^ {4}((?:[A-Z_]+=\S+ )*(?:curl|npm|node|docker|system-manager|\.\/\S+) ?.*)$/gm
      )
    ].map(([, line = '']) => ({ page, line }))
  )

t.test('every command of the documentation can be pasted into bash and zsh', async t => {
  t.ok(commands.length > 15, `${commands.length} commands`)
  for (const { page, line } of commands) {
    const bare = line.replace(/'[^']*'|"[^"]*"/g, '').replace(/^(?:[A-Z_]+=\S+ )+/, '')
    t.notMatch(bare, /(^|\s)#/, `${page}: zsh takes a comment for arguments: ${line}`)
    t.notMatch(bare, /[?*[\]<>]/, `${page}: zsh looks for files that match: ${line}`)
  }
})
