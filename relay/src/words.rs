//! Every sentence of the program, in English and Chinese.

use clap::Command;

/// A language of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// From `--lang`, which must be known before the command line is read, else from the locale.
    pub fn of_environment() -> Self {
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.split_once('=') {
                Some(("--lang", tag)) => return Self::of_tag(tag),
                None if word == "--lang" => return words.next().map_or(Self::English, |tag| Self::of_tag(&tag)),
                _ => {}
            }
        }
        let locale = ["HANDOVER_LANG", "LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        locale.map_or(Self::English, |tag| Self::of_tag(&tag))
    }

    /// Chinese for `zh`, `zh-CN`, `zh_CN.UTF-8` and the like, else English.
    pub fn of_tag(tag: &str) -> Self {
        let is_chinese = tag.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("zh"));
        if is_chinese { Self::Chinese } else { Self::English }
    }
}

/// Declares every sentence once, with both languages.
macro_rules! words {
    ($($name:ident: $english:literal, $chinese:literal;)*) => {
        /// A sentence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word { $($name,)* }

        impl Word {
            /// The sentence in a language.
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::English) => $english, (Self::$name, Language::Chinese) => $chinese,)*
                }
            }
        }
    };
}

words! {
    Runs: "is running", "已启动";
    Address: "Address", "地址";
    ListeningOn: "listening on", "监听";
    Key: "Key", "密钥";
    DataFolder: "Data folder", "数据目录";
    OpenPort: "Open", "放行端口";
    OpenPortWhere: "for incoming packets, here and at your provider", "入站，本机防火墙和云服务商的安全组都要放行";
    SellersType: "Sellers type", "卖方执行";
    InviteIsSecret:
        "The invite is the line on standard output. Whoever has it may store data here: hand it to your sellers only.",
        "邀请码是标准输出中的那一行。拿到它的人就可以在此存放数据，请只交给您的卖方。";
    HintHelp: "handover-relay --help shows the options", "handover-relay --help 可查看全部选项";
    HintHeld:
        "stop the other relay, or choose another folder with --data",
        "请先停止另一个中继，或用 --data 指定其他目录";
    HintServeFirst:
        "start the relay once with handover-relay serve, or name its folder with --data",
        "请先运行一次 handover-relay serve，或用 --data 指定它的目录";
    HintDisk:
        "check space and rights of the data folder, or choose another one with --data",
        "请检查数据目录的剩余空间和权限，或用 --data 指定其他目录";
    HintNewer: "use the newer program that wrote it", "请使用写入该数据的较新版本程序";
    HintListen:
        "another program may use the port; choose another one with --listen [::]:PORT",
        "端口可能已被占用，请用 --listen [::]:端口 指定其他端口";
    HintConfig: "the file has one line per option, such as max-transfer = \"500GB\"", "配置文件每行一个选项，例如 max-transfer = \"500GB\"";
    HintInviteList: "handover-relay invite --list shows all invites", "handover-relay invite --list 可列出全部邀请码";
    HintSellerList: "handover-relay seller list shows all sellers", "handover-relay seller list 可列出全部卖方";
    HintTransferList: "handover-relay transfers list shows all transfers", "handover-relay transfers list 可列出全部移交";
    HintTransferShow:
        "handover-relay transfers show ID shows what is left of it",
        "handover-relay transfers show 编号 可显示其留存记录";
    HintAltered:
        "something else than this program has changed it; keep it as it is, and compare with a backup",
        "它已被本程序以外的东西改动；请保持原样，并与备份比较";
    About:
        "Stores sealed data between a seller and a buyer, and can open none of it",
        "在卖方与买方之间存放密封数据，自身无法打开其中任何内容";
}

/// What verbs and options mean: path of verbs and option, English, Chinese.
const HELP: &[(&str, &str, &str)] = &[
    ("lang", "Language: en or zh-CN", "语言：en 或 zh-CN"),
    ("serve", "Run the relay; prints the first invite", "运行中继，并打印第一个邀请码"),
    ("serve config", "Read options from a TOML file", "从 TOML 文件读取选项"),
    (
        "serve listen",
        "Where to listen; port 0 takes a free one [default: [::]:4433]",
        "监听地址；端口 0 表示任选空闲端口 [默认: [::]:4433]",
    ),
    ("serve data", "The data folder", "数据目录"),
    ("serve advertise", "The address in invites [default: this machine's]", "邀请码中的地址 [默认: 本机地址]"),
    (
        "serve enrolment",
        "Who may send: invited sellers only, or anybody [default: required]",
        "谁可以发送：仅受邀卖方，或任何人 [默认: required]",
    ),
    ("serve max_transfer", "The most one transfer may hold [default: 1TiB]", "单次交接的最大容量 [默认: 1TiB]"),
    ("serve max_total", "The most all transfers together may hold", "全部交接的最大总容量"),
    (
        "serve min_free",
        "Take nothing more when less is free [default: 1GiB]",
        "剩余空间低于此值时不再接收 [默认: 1GiB]",
    ),
    ("serve max_expiry", "The longest time to keep a transfer [default: 90d]", "数据最长保存时间 [默认: 90d]"),
    (
        "serve default_expiry",
        "The time to keep a transfer if its seller says nothing [default: 14d]",
        "卖方未指定时的保存时间 [默认: 14d]",
    ),
    ("serve connections", "Connections at once", "同时连接数上限"),
    ("serve connections_per_address", "Connections at once from one address", "每个地址的同时连接数上限"),
    (
        "serve max_per_seller",
        "Largest sum of one seller's transfers, such as 500GB",
        "每个卖方全部移交的上限，例如 500GB",
    ),
    ("serve transfers_per_seller", "Transfers of one seller at once", "每个卖方同时存在的移交数上限"),
    ("serve idle", "Closes connections on which nothing goes on, such as 2m", "关闭闲置的连接，例如 2m"),
    ("serve failures_per_minute", "Failed attempts a minute from one address", "每个地址每分钟允许的失败次数"),
    ("serve log_format", "The form of the log [default: text]", "日志格式 [默认: text]"),
    (
        "serve log",
        "What to log: error, warn, info, debug [default: info]",
        "日志级别：error、warn、info、debug [默认: info]",
    ),
    ("invite", "Make another invite; prints it", "再生成一个邀请码并打印"),
    ("invite data", "The data folder", "数据目录"),
    ("invite uses", "How many sellers may use it [default: any number]", "可供多少个卖方使用 [默认: 不限]"),
    (
        "invite advertise",
        "The address in the invite [default: the relay's last one]",
        "邀请码中的地址 [默认: 中继上次使用的地址]",
    ),
    ("invite list", "List all invites instead, without their secrets", "改为列出全部邀请码（不含密文）"),
    ("invite revoke", "Make an invite useless, by its number in the list", "按列表中的编号作废一个邀请码"),
    ("seller", "Sellers who may send", "可以发送的卖方"),
    ("seller data", "The data folder", "数据目录"),
    ("seller list", "List them", "列出"),
    ("seller revoke", "Take a seller's right to send; takes effect at once", "取消某个卖方的发送权限，立即生效"),
    ("seller revoke key", "The key as it is listed", "列表中显示的密钥"),
    ("transfers", "Transfers and what is left of them", "交接及其留存记录"),
    ("transfers data", "The data folder", "数据目录"),
    ("transfers list", "List them, newest first", "列出，最新的在前"),
    ("transfers show", "Show everything that is known of one", "显示某次移交的全部记录"),
    ("transfers show id", "The number as it is listed", "列表中显示的编号"),
    (
        "transfers purge",
        "Take one down: its share is erased first, then its blocks; both sides are told",
        "下架一次移交：先销毁其份额，再删除数据块；双方都会被告知",
    ),
    ("transfers purge id", "The number as it is listed", "列表中显示的编号"),
    ("transfers purge reason", "Why, in words that both sides will read", "原因，双方都会看到"),
    ("audit", "The signed log of everything that happened", "记录一切事件的签名日志"),
    ("audit data", "The data folder", "数据目录"),
    ("audit verify", "Check all of it: entries, chain, tree, heads, transfers", "全面校验：条目、链、树、日志头、移交"),
    ("audit verify head", "Also that it begins with the head in this file", "并校验其以该文件中的日志头开头"),
    ("audit verify export", "Check a log that was written out instead", "改为校验一份已导出的日志"),
    ("audit export", "Write it out for others to check", "导出，供他人校验"),
    ("audit export folder", "Folder to write to, made if missing", "写入的目录，不存在则创建"),
    (
        "serve handshakes_per_second",
        "Handshakes a second from one address; above it, it must prove itself first [default: 50]",
        "每个地址每秒的握手数；超过后须先证明地址真实 [默认: 50]",
    ),
    ("version", "Print the version", "打印版本"),
];

/// Puts the sentences into the command line's help.
pub fn explain(command: Command, language: Language) -> Command {
    explain_below(command.about(Word::About.text(language)), "", language)
}

fn explain_below(command: Command, path: &str, language: Language) -> Command {
    let path_of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path} {name}") };
    let command = command.mut_args(|arg| {
        let help = help(&path_of(arg.get_id().as_str()), language);
        match help {
            Some(help) => arg.help(help).hide_env(true),
            None => arg,
        }
    });
    command.mut_subcommands(|verb| {
        let below = path_of(verb.get_name());
        let verb = match help(&below, language) {
            Some(help) => verb.about(help),
            None => verb,
        };
        explain_below(verb, &below, language)
    })
}

fn help(path: &str, language: Language) -> Option<&'static str> {
    let (_, english, chinese) = HELP.iter().find(|(known, _, _)| *known == path)?;
    Some(match language {
        Language::English => english,
        Language::Chinese => chinese,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Paths of all verbs and options that the command line has.
    fn paths(command: &Command, path: &str, found: &mut Vec<String>) {
        let path_of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path} {name}") };
        found.extend(command.get_arguments().map(|arg| path_of(arg.get_id().as_str())));
        for verb in command.get_subcommands() {
            found.push(path_of(verb.get_name()));
            paths(verb, &path_of(verb.get_name()), found);
        }
    }

    #[test]
    fn every_verb_and_option_is_explained_and_nothing_else() {
        let mut found = Vec::new();
        paths(&Cli::command(), "", &mut found);
        let mut known: Vec<String> = HELP.iter().map(|(path, _, _)| (*path).to_owned()).collect();
        found.sort();
        known.sort();
        assert_eq!(found, known);
    }

    #[test]
    fn chinese_is_chinese() {
        for (path, english, chinese) in HELP {
            assert!(english.is_ascii() && !chinese.is_ascii(), "{path}");
        }
        assert_eq!(Language::of_tag("zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(Language::of_tag("C"), Language::English);
    }
}
