; The installer for Windows: makensis -DVERSION=… -DFILES=… -DOUT=… keyturn.nsi
;
; It installs for one user and asks for no rights: nothing of Keyturn is shared
; between users. /S installs without a question.

Unicode true
SetCompressor /SOLID lzma
RequestExecutionLevel user
ManifestDPIAware true

Name "Keyturn"
OutFile "${OUT}"
InstallDir "$LOCALAPPDATA\Programs\Keyturn"
Icon "icon.ico"
UninstallIcon "icon.ico"
VIProductVersion "${VERSION}.0"
VIAddVersionKey ProductName "Keyturn"
VIAddVersionKey ProductVersion "${VERSION}"
VIAddVersionKey FileVersion "${VERSION}"
VIAddVersionKey FileDescription "Installs Keyturn"
VIAddVersionKey CompanyName "The Keyturn developers"
VIAddVersionKey LegalCopyright "The Keyturn developers"

!include "MUI2.nsh"
!include "LogicLib.nsh"
!include "FileFunc.nsh"

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\Keyturn"
!define RUN "Software\Microsoft\Windows\CurrentVersion\Run"
!define WEBVIEW "Microsoft\EdgeUpdate\Clients\{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}"

!define MUI_ICON "icon.ico"
!define MUI_UNICON "icon.ico"
!define MUI_FINISHPAGE_RUN "$INSTDIR\keyturn-desktop.exe"
!define MUI_FINISHPAGE_RUN_TEXT "Start Keyturn"
!insertmacro MUI_PAGE_LICENSE "..\..\LICENSE"
!insertmacro MUI_PAGE_COMPONENTS
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

; A running Keyturn is asked to end before its files are replaced or removed:
; one that is killed could lose the answer to a refresh.
!macro StopKeyturn
	${If} ${FileExists} "$INSTDIR\keyturn.exe"
		nsExec::Exec '"$INSTDIR\keyturn.exe" quit'
		Pop $0
		Sleep 1000
	${EndIf}
!macroend

Section "Keyturn" SecKeyturn
	SectionIn RO
	!insertmacro StopKeyturn
	SetOutPath "$INSTDIR"
	ClearErrors
	File "${FILES}\keyturn-desktop.exe"
	File "${FILES}\keyturn-headless.exe"
	File "${FILES}\keyturn.exe"
	File "${FILES}\LICENSE"
	File "${FILES}\README.md"
	File "icon.ico"
	WriteUninstaller "$INSTDIR\uninstall.exe"
	CreateShortcut "$SMPROGRAMS\Keyturn.lnk" "$INSTDIR\keyturn-desktop.exe" "" "$INSTDIR\icon.ico"

	WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "Keyturn"
	WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
	WriteRegStr HKCU "${UNINSTALL}" "Publisher" "The Keyturn developers"
	WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\icon.ico"
	WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
	WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
	WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
	WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
	WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
	${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
	IntFmt $0 "0x%08X" $0
	WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" "$0"

	; The window is drawn by WebView2, which Windows 11 and most of Windows 10 have.
	ReadRegStr $0 HKLM "Software\WOW6432Node\${WEBVIEW}" "pv"
	${If} $0 == ""
		ReadRegStr $0 HKCU "Software\${WEBVIEW}" "pv"
	${EndIf}
	${If} $0 == ""
		MessageBox MB_OK|MB_ICONINFORMATION "The window of Keyturn needs the WebView2 Runtime of Microsoft, which is not here. Get it at https://developer.microsoft.com/microsoft-edge/webview2/. Until then the tray and the command line work." /SD IDOK
	${EndIf}
SectionEnd

Section "Start Keyturn when I log in" SecAutostart
	WriteRegStr HKCU "${RUN}" "Keyturn" '"$INSTDIR\keyturn-desktop.exe" --hidden'
SectionEnd

LangString DescKeyturn ${LANG_ENGLISH} "The tray, the window and the command line."
LangString DescAutostart ${LANG_ENGLISH} "Keyturn waits in the tray and opens no window."
!insertmacro MUI_FUNCTION_DESCRIPTION_BEGIN
	!insertmacro MUI_DESCRIPTION_TEXT ${SecKeyturn} $(DescKeyturn)
	!insertmacro MUI_DESCRIPTION_TEXT ${SecAutostart} $(DescAutostart)
!insertmacro MUI_FUNCTION_DESCRIPTION_END

; Only what was installed is removed: what else is in the folder is not ours.
Section "Uninstall"
	!insertmacro StopKeyturn
	DeleteRegValue HKCU "${RUN}" "Keyturn"
	DeleteRegKey HKCU "${UNINSTALL}"
	Delete "$SMPROGRAMS\Keyturn.lnk"
	Delete "$INSTDIR\keyturn-desktop.exe"
	Delete "$INSTDIR\keyturn-headless.exe"
	Delete "$INSTDIR\keyturn.exe"
	Delete "$INSTDIR\LICENSE"
	Delete "$INSTDIR\README.md"
	Delete "$INSTDIR\icon.ico"
	Delete "$INSTDIR\uninstall.exe"
	RMDir "$INSTDIR"
	MessageBox MB_OK|MB_ICONINFORMATION "Keyturn is removed. Your connections stay, sealed, in $LOCALAPPDATA\Keyturn. To end the grants themselves, disconnect before removing; to forget what is left, delete that folder." /SD IDOK
SectionEnd
