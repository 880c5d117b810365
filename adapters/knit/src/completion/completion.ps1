# Completion of knit for PowerShell 5.1 and later: at every Tab the program itself is asked what may stand at the cursor.
Register-ArgumentCompleter -Native -CommandName knit -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $process = $null
    $answer = ''
    try {
        # The cursor counts from the beginning of the line, on which the command may stand behind others.
        $begin = $commandAst.CommandElements[0].Extent.StartOffset
        $line = $commandAst.Extent.Text.Substring($begin - $commandAst.Extent.StartOffset)
        $typed = $cursorPosition - $begin
        # A command ends with its last word; behind it another one begins.
        if ($typed -gt $line.Length) { $line = $line + ' ' } else { $line = $line.Substring(0, $typed) }
        $knit = New-Object System.Diagnostics.ProcessStartInfo
        $knit.FileName = PROGRAM
        $knit.WorkingDirectory = (Get-Location -PSProvider FileSystem).ProviderPath
        $knit.UseShellExecute = $false
        $knit.CreateNoWindow = $true
        $knit.RedirectStandardOutput = $true
        $knit.RedirectStandardError = $true
        $knit.StandardOutputEncoding = [System.Text.Encoding]::UTF8
        # Arguments would be quoted by the rules of each version anew, and typed text must not run; these change nothing here.
        $knit.EnvironmentVariables['KNIT_COMPLETE'] = 'powershell'
        $knit.EnvironmentVariables['KNIT_COMPLETE_LINE'] = $line
        $knit.EnvironmentVariables['KNIT_COMPLETE_WORD'] = $wordToComplete
        $process = [System.Diagnostics.Process]::Start($knit)
        $answer = $process.StandardOutput.ReadToEnd()
    } catch {
        # Whoever is typing wants no messages.
        $answer = ''
    } finally {
        if ($null -ne $process) { $process.Dispose() }
    }
    $offered = @(foreach ($one in $answer.Split([char]10)) {
        $text, $shown, $help = $one.Split([char]9)
        if ($help) { [System.Management.Automation.CompletionResult]::new($text, $shown, 'ParameterValue', $help) }
    })
    # Were there nothing at all, names of files would be offered, wherever they make no sense.
    if ($offered.Count -gt 0) { $offered } else { '' }
}
